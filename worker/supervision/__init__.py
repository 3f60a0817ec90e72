"""How is a process of the worker watched and ended, and a run that may be harmful kept apart from the others?"""
