"""HTTP/1.1 on sockets of our own: connections are kept across runs, and a small request costs little."""
