"""What people write of a stream in the connections file, what stands on its row, and back; a module for each kind."""
