"""What the queryable views are made from."""
