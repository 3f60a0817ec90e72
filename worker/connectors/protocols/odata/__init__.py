"""How is an OData service asked, and what does its metadata tell? V4 and V2."""
