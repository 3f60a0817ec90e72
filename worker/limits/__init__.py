"""How fast may an account be asked? `policy` decides (pure); `budget` is the door that everybody uses."""
