"""A pytest plug-in for the tests of timm beside the CPU build of torch.

torchvision from PyPI is compiled for another build of torch: its compiled operators (boxes, file
decoding) do not load, and importing it fails while it registers shapes for them in
`torchvision._meta_registrations`. timm uses none of these operators, only the transforms, which are
Python. So that one module is replaced by an empty one before torchvision is imported; everything
else is the real torchvision and the real timm.
"""

import sys
from types import ModuleType

sys.modules["torchvision._meta_registrations"] = ModuleType("torchvision._meta_registrations")
