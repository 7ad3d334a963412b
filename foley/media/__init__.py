"""Reading and writing of media files: the only place that runs ffmpeg."""
