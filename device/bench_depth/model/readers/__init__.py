"""The structure of .onnx and .tflite files, read without any library."""
