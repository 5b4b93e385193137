"""From which share in use on screens warn and problems begin. Numbers only: the first frame needs them."""

from __future__ import annotations

CPU_LEVELS = (0.8, 0.95)
LOAD_LEVELS = (1.0, 2.0)
"""per core"""
MEMORY_LOW = 0.05
"""of what is installed still available"""
MEMORY_LEVELS = (0.85, 1 - MEMORY_LOW)
DISK_GRADES = (0.85, 0.95)
DISK_FULL, DISK_CRITICAL = 0.90, 0.98
