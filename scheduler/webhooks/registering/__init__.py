"""Registration of webhooks at the systems that send them: who asked for it, and who keeps it so."""
