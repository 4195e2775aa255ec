"""Episode data sets of the user, read as they are; nothing is written beside them.

Called by heads.data and heads.prepare.

rows       rows, data sets, and the faults they are refused for     read      the form of a folder, and its reader
columns    one row's columns: pictures, instruction, numbers        tables    JSONL, JSON and parquet
lerobot    LeRobot's layout, v2.0, v2.1 and v3.0                    stored    pictures inside parquet and video files
split      training and held-out rows, by episode
"""
