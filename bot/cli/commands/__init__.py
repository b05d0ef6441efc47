"""The commands of the command line: a file for each group, its options alone.

What a command does, and what it needs, is imported when it runs, so that each starts fast.
"""
