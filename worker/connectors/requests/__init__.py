"""What is a request put together of? What stands in the manifest, and values in their places: of the query, of the body."""
