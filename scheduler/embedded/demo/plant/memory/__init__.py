"""What the demo plant remembers: its records' versions, what is visible of them, and a journal that outlives the process."""
