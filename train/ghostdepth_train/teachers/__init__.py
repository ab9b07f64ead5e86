"""Teachers: networks that label photos for a student to learn from.

teacher = load_teacher("runs/teacher/best")
labels = teacher(rgb)
"""

from ghostdepth_train.teachers.labels import Labels, Quantity
from ghostdepth_train.teachers.load import load_teacher
from ghostdepth_train.teachers.relative import align_to, ssi_loss
from ghostdepth_train.teachers.teacher import Teacher

__all__ = ["Labels", "Quantity", "Teacher", "align_to", "load_teacher", "ssi_loss"]
