"""How does a question reach Valkey and come back: the bytes, the arguments, the scripts that decide."""
