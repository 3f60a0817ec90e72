"""Would this connection work? Its secrets are opened, its system is asked once for each stream, and nothing is stored."""
