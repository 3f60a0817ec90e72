"""What of a record may be kept, and for how long: fields that are left out, records that were erased, versions."""
