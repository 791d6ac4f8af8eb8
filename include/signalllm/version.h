#pragma once

/// The library's version, read by CMake from these three lines.
#define SIGNALLLM_VERSION_MAJOR 0
#define SIGNALLLM_VERSION_MINOR 1
#define SIGNALLLM_VERSION_PATCH 0
