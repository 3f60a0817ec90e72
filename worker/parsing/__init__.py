"""How is text read that others wrote: files, durations, JSON that a system sent?"""
