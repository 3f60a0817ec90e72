"""What a manifest says of the tables and unified models that people query."""
