"""Whether the linear probe is right: beside scikit-learn on random inputs."""
