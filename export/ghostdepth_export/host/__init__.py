"""The programs, caches and package wheels of the machine that this runs on."""
