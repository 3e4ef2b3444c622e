"""What stays out of an environment in which torch is there already."""

# The libraries of CUDA that PyPI's wheels of torch require, by their names for CUDA 12 and 13:
# the resolved requirements of torch 2.9.1, 2.13.0 and 2.15.0 (2026-11-26).
_IN_BOTH = ("cublas", "cuda-cupti", "cuda-nvrtc", "cuda-runtime", "cufft", "cufile", "curand")
_IN_BOTH += ("cusolver", "cusparse", "nvjitlink", "nvtx")
_NAMED_BY_CUDA = ("cudnn", "cusparselt", "nccl", "nvshmem")
CUDA_LIBRARIES = frozenset(
    {
        *("cuda-toolkit", "nvidia-cuda-cccl"),
        *(f"nvidia-{name}{cuda}" for name in _IN_BOTH for cuda in ("", "-cu12")),
        *(f"nvidia-{name}-{cuda}" for name in _NAMED_BY_CUDA for cuda in ("cu12", "cu13")),
    }
)
