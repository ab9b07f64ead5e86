"""Teachers: networks that label images for a student to learn from.

teacher = load_teacher("runs/teacher/best")
labels = teacher(rgb)
"""

from ghostdepth_train.distillation.labels import Quantity, TeacherLabels
from ghostdepth_train.distillation.load import load_teacher
from ghostdepth_train.distillation.relative import align_to, ssi_loss
from ghostdepth_train.distillation.teacher import Teacher

__all__ = ["Quantity", "Teacher", "TeacherLabels", "align_to", "load_teacher", "ssi_loss"]
