#include "transformer.h"

#include <signalllm/nn/model.h>

#include <torch/types.h>

#include <charconv>
#include <cmath>
#include <functional>
#include <map>
#include <sstream>

namespace signalllm::benchmarks {
namespace {

torch::nn::Linear linear(int64_t in, int64_t out) {
  return torch::nn::Linear(torch::nn::LinearOptions(in, out).bias(false));
}

/// Unit complex numbers of angle t 10000^(-2i/d), `[length, d / 2]`.
torch::Tensor
rotations(int64_t length, int64_t d, const torch::TensorOptions& like) {
  const auto wide = like.dtype(torch::kDouble);
  const auto pair = torch::arange(0, d, 2, wide);
  const auto angle = torch::arange(length, wide).unsqueeze(1) *
      (pair * (-std::log(10000.0) / static_cast<double>(d))).exp();
  return torch::complex(
      angle.cos().to(torch::kFloat), angle.sin().to(torch::kFloat));
}

template <typename Number>
Number number(const std::string& from) {
  Number value{};
  const auto* end = from.data() + from.size();
  const auto [last, error] = std::from_chars(from.data(), end, value);
  TORCH_CHECK(
      error == std::errc{} && last == end,
      "'",
      from,
      "', it must be ",
      std::is_integral_v<Number> ? "a whole number" : "a number");
  return value;
}

torch::Tensor drop(const torch::Tensor& x, double p, bool training) {
  return p > 0 ? torch::dropout(x, p, training) : x;
}

} // namespace

void TransformerOptions::set(const std::string& values) {
  const auto integer = [](int64_t& to) {
    return [&to](const std::string& from) { to = number<int64_t>(from); };
  };
  const auto real = [](double& to) {
    return [&to](const std::string& from) { to = number<double>(from); };
  };
  const auto boolean = [](bool& to) {
    return [&to](const std::string& from) {
      TORCH_CHECK(
          from == "true" || from == "false",
          "'",
          from,
          "', it must be true or false");
      to = from == "true";
    };
  };
  const std::map<std::string, std::function<void(const std::string&)>> known{
      {"passes", integer(passes_)},
      {"hidden", integer(hidden_)},
      {"activation",
       [this](const std::string& from) {
         activation_ = parse_activation(from);
       }},
      {"qk_norm", boolean(qk_norm_)},
      {"rms_norm", boolean(rms_norm_)},
      {"short_filter", boolean(short_filter_)},
      {"embedding_dropout", real(embedding_dropout_)},
      {"attention_dropout", real(attention_dropout_)},
      {"hidden_dropout", real(hidden_dropout_)},
      {"token_noise", real(token_noise_)},
      {"embedding_std", real(embedding_std_)},
      {"init_std", real(init_std_)}};
  std::istringstream items(values);
  for (std::string item; std::getline(items, item, ',');) {
    const auto equals = item.find('=');
    const auto found = known.find(item.substr(0, equals));
    TORCH_CHECK(
        equals != std::string::npos && found != known.end(),
        "TransformerOptions: there is no option '",
        item,
        "'");
    try {
      found->second(item.substr(equals + 1));
    } catch (const c10::Error& error) {
      TORCH_CHECK(
          false,
          "TransformerOptions: ",
          found->first,
          " is ",
          error.what_without_backtrace());
    }
  }
}

TransformerBlockImpl::TransformerBlockImpl(const TransformerOptions& options_)
    : options(options_) {
  reset();
}

void TransformerBlockImpl::reset() {
  const auto dim = options.dim();
  const auto hidden = options.hidden() > 0 ? options.hidden() : 4 * dim;
  for (int i = 0; i < 2; ++i) {
    const auto name = "norm" + std::to_string(i);
    if (options.rms_norm()) {
      rms_gains[i] = register_parameter(name, torch::ones({dim}));
    } else {
      layer_norms[i] = register_module(
          name, torch::nn::LayerNorm(torch::nn::LayerNormOptions({dim})));
    }
  }
  in_proj = register_module("in_proj", linear(dim, 3 * dim));
  out_proj = register_module("out_proj", linear(dim, dim));
  up_proj = register_module("up_proj", linear(dim, hidden));
  down_proj = register_module("down_proj", linear(hidden, dim));
  if (options.short_filter()) {
    filter = register_module("filter", CausalFilter(3 * dim));
  }
}

torch::Tensor TransformerBlockImpl::normal(int which, const torch::Tensor& x) {
  return options.rms_norm()
      ? torch::rms_norm(x, {options.dim()}, rms_gains[which], 1e-6)
      : layer_norms[which]->forward(x);
}

torch::Tensor TransformerBlockImpl::attend(
    const torch::Tensor& u,
    const torch::Tensor& rotation) {
  const auto batch = u.size(0), length = u.size(1);
  const auto heads = options.heads(), d = options.dim() / heads;
  auto projected = in_proj->forward(u);
  if (filter) {
    projected = filter->fused(projected);
  }
  const auto parts = projected.view({batch, length, 3, heads, d});
  auto turning = parts.narrow(2, 0, 2).to(torch::kFloat);
  if (options.qk_norm()) {
    turning = torch::rms_norm(turning, {d}, {}, 1e-6);
  }
  const auto pairs =
      torch::view_as_complex(turning.view({batch, length, 2, heads, d / 2, 2}));
  const auto turned =
      torch::view_as_real(pairs * rotation.view({length, 1, 1, d / 2}))
          .flatten(-2)
          .to(projected.scalar_type());
  const auto y = torch::scaled_dot_product_attention(
      turned.select(2, 0).transpose(1, 2),
      turned.select(2, 1).transpose(1, 2),
      parts.select(2, 2).transpose(1, 2),
      {},
      is_training() ? options.attention_dropout() : 0.0,
      /*is_causal=*/true);
  return out_proj->forward(y.transpose(1, 2).flatten(2));
}

torch::Tensor TransformerBlockImpl::forward(
    const torch::Tensor& input,
    const torch::Tensor& rotation) {
  const bool training = is_training();
  const auto x = input +
      drop(attend(normal(0, input), rotation), options.dropout(), training);
  auto hidden = up_proj->forward(normal(1, x));
  if (options.activation() == Activation::Gelu) {
    hidden = torch::gelu(hidden);
  } else {
    hidden = torch::relu(hidden);
    hidden = hidden * hidden;
  }
  hidden = drop(hidden, options.hidden_dropout(), training);
  return x + drop(down_proj->forward(hidden), options.dropout(), training);
}

TransformerImpl::TransformerImpl(const TransformerOptions& options_)
    : options(options_) {
  TORCH_CHECK(
      options.heads() >= 1 && options.dim() % (2 * options.heads()) == 0,
      "Transformer: dim ",
      options.dim(),
      " cannot be divided into ",
      options.heads(),
      " heads of equal, even size");
  TORCH_CHECK(
      options.passes() >= 1,
      "Transformer: passes is ",
      options.passes(),
      ", it must be at least 1");
  reset();
}

void TransformerImpl::reset() {
  const auto dim = options.dim();
  embedding_weight = register_parameter(
      "embedding_weight",
      torch::randn({options.vocab_size(), dim}) * options.embedding_std());
  dropout = register_module(
      "dropout",
      torch::nn::Dropout(
          options.embedding_dropout() < 0 ? options.dropout()
                                          : options.embedding_dropout()));
  blocks = register_module("blocks", torch::nn::ModuleList());
  for (int64_t i = 0; i < options.layers(); ++i) {
    blocks->push_back(TransformerBlock(options));
  }
  if (options.rms_norm()) {
    gain = register_parameter("gain", torch::ones({dim}));
  } else {
    norm = register_module(
        "norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({dim})));
  }
  torch::NoGradGuard no_grad;
  const auto std = options.init_std() > 0
      ? options.init_std()
      : 0.7 / std::sqrt(static_cast<double>(dim));
  const auto runs = block_runs(options.layers(), options.passes()).size();
  const auto residual = std / std::sqrt(2.0 * static_cast<double>(runs));
  for (const auto& module : *blocks) {
    auto* block = module->as<TransformerBlockImpl>();
    block->in_proj->weight.normal_(0, std);
    block->up_proj->weight.normal_(0, std);
    block->out_proj->weight.normal_(0, residual);
    block->down_proj->weight.normal_(0, residual);
  }
}

torch::Tensor TransformerImpl::forward(const torch::Tensor& tokens) {
  auto inputs = tokens;
  if (options.token_noise() > 0 && is_training()) {
    const auto chance =
        torch::rand(tokens.sizes(), tokens.options().dtype(torch::kFloat));
    inputs = torch::where(
        chance < options.token_noise(),
        torch::randint_like(tokens, options.vocab_size()),
        tokens);
  }
  auto x = dropout->forward(torch::embedding(embedding_weight, inputs));
  const auto rotation = rotations(
      tokens.size(1), options.dim() / options.heads(), tokens.options());
  for (const auto run : block_runs(options.layers(), options.passes())) {
    x = blocks->at<TransformerBlockImpl>(run).forward(x, rotation);
  }
  x = options.rms_norm() ? torch::rms_norm(x, {options.dim()}, gain, 1e-6)
                         : norm->forward(x);
  return x.matmul(embedding_weight.t());
}

int64_t TransformerImpl::num_parameters() const {
  int64_t count = 0;
  for (const auto& parameter : parameters()) {
    count += parameter.numel();
  }
  return count;
}

} // namespace signalllm::benchmarks
