"""What does a run notice about its stream as it goes: new fields, a clock that is off, a cursor that can't be trusted?"""
