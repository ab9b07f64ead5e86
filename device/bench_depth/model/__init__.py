"""What a model file takes and gives, read from the file or said by flags."""
