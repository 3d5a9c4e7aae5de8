"""`haechi up` and `haechi down`: the mission's steps in order, resumable wherever they were cut off, and `verify`, the proof.

This room reaches a cloud only through public interfaces: the terraform program, HTTP, SSH and the signed API (`clients`).
"""
