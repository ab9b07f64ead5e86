"""A checkpoint to .tflite and .onnx files, each verified against torch."""
