#pragma once

#include <cstdint>
#include <stdexcept>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

namespace signalllm {

/// A TCP port of this machine that nobody listens on.
inline int64_t free_port() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const bool found = ::bind(descriptor, generic, size) == 0 &&
      ::getsockname(descriptor, generic, &size) == 0;
  ::close(descriptor);
  if (!found) {
    throw std::runtime_error("no free port");
  }
  return ntohs(address.sin_port);
}

} // namespace signalllm
