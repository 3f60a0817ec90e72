"""The SQL of the views, put together from plain data. Pure."""
