"""What does the connections file say, and is it right?"""

from scheduler.connections.file.desired import Desired, DesiredConnection, DesiredStream, Problems
from scheduler.connections.file.reading import read_desired

__all__ = ["Desired", "DesiredConnection", "DesiredStream", "Problems", "read_desired"]
