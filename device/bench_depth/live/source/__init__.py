"""Where the pictures come from: cameras, videos, folders."""
