"""Programs that measure Foley or show what it makes; no part of the package."""
