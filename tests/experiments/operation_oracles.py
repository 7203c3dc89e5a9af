"""The 13 operations of third-party networks, slow and readable: one output number at a time."""

import numpy as np


def sides(size, window, stride, pad, axis):
    """How much is padded before and after an axis."""
    if pad == "VALID":
        return 0, 0
    if pad == "SAME":  # as many outputs as strides fit, and the odd one after
        missing = max((-(-size // stride) - 1) * stride + window - size, 0)
        return missing // 2, missing - missing // 2
    return tuple(pad[axis])


def padded(images, window, stride, pad, fill):
    before_after = [
        sides(images.shape[1 + axis], window[axis], stride[axis], pad, axis) for axis in (0, 1)
    ]
    return np.pad(images, ((0, 0), *before_after, (0, 0)), constant_values=fill)


def conv(images, kernel, bias, stride, pad, groups, dilation):
    reach = [(kernel.shape[axis] - 1) * dilation[axis] + 1 for axis in (0, 1)]
    images = padded(images, reach, stride, pad, 0.0)
    height, width = ((images.shape[1 + axis] - reach[axis]) // stride[axis] + 1 for axis in (0, 1))
    channels_in, channels_out = kernel.shape[2], kernel.shape[3]
    made = np.zeros((len(images), height, width, channels_out))
    for row in range(height):
        for column in range(width):
            for out in range(channels_out):
                first = out // (channels_out // groups) * channels_in
                for i in range(kernel.shape[0]):
                    for j in range(kernel.shape[1]):
                        place = images[
                            :,
                            row * stride[0] + i * dilation[0],
                            column * stride[1] + j * dilation[1],
                        ]
                        made[:, row, column, out] += (
                            place[:, first : first + channels_in] @ kernel[i, j, :, out]
                        )
    return made + bias


def maxpool(images, window, stride, pad):
    images = padded(images, window, stride, pad, -np.inf)
    height, width = ((images.shape[1 + axis] - window[axis]) // stride[axis] + 1 for axis in (0, 1))
    made = np.zeros((len(images), height, width, images.shape[3]))
    for row in range(height):
        for column in range(width):
            top, left = row * stride[0], column * stride[1]
            made[:, row, column] = images[:, top : top + window[0], left : left + window[1]].max(
                axis=(1, 2)
            )
    return made


def bn(values, gamma, beta, mean, var, eps):
    return gamma * (values - mean) / np.sqrt(var + eps) + beta


def softmax(values):
    return np.array([np.exp(row) / np.exp(row).sum() for row in values])


def permute_chw(images):
    return np.stack(
        [np.stack([image[:, :, channel] for channel in range(image.shape[2])]) for image in images]
    )
