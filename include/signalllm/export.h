#pragma once

/// Marks what the shared library offers to programs that link it.
#if defined(_WIN32)
#define SIGNALLLM_API
#else
#define SIGNALLLM_API __attribute__((visibility("default")))
#endif
