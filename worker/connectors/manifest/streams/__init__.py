"""What a manifest says of one stream: its cursor, its deletes, its parents, how one record is asked for."""
