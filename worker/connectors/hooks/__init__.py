"""Python beside a manifest, for what its words can't say: loaded, called, and answered for where it fails."""
