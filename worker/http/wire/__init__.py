"""Between a request as it is described and httpx's transport: what may be written, how long it may take, how much is read."""
