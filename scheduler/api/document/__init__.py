"""The API as a document: OpenAPI 3.1, made from the routes, with every refusal that each may answer."""
