"""What a webhook must show before it is believed, on the bytes as they came. Pure: no socket, no clock, no database."""
