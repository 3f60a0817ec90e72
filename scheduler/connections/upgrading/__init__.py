"""From one version of a system's manifest to another: what that changes for a connection, what it costs, and the step itself."""
