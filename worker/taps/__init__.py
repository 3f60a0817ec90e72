"""How does a Singer tap run as a source? In an environment and a process of its own, which never outlives its run.

- `allowed`: may this tap run here at all (the installation says, never a connection)
- `environments`: its packages, in a folder of their own
- `folders`: its config, catalog and state, readable for nobody else, gone with it
- `process`: the program under its keeper (`keeper`), with few variables and limited memory
- `lines`, `messages`, `words`: what it says: bounded lines, Singer's messages, the log
- `session`: one run of it: prepared, started, read as fast as the copy takes it
- `carrier`: how the engine's requests reach it
"""
