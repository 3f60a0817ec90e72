"""Making a connector: a first manifest from a few answers or an OpenAPI document, a look at a live account, recordings."""
