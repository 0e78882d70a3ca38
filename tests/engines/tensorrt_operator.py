"""The operators that TensorRT 10.3 parses at opset 18.

Frozen: from the table of its parser for 8.5, those that a graph of ours may need, and the
normalisations, Gelu and HardSwish that the table for 10.1 added. ReduceLogSumExp is left out: it
is parsed as the logarithm of a plain sum of exponentials, of which nothing is left where all are
small.
"""

from __future__ import annotations

NAMES = """
    Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Clip Concat Constant
    ConstantOfShape Conv ConvTranspose Cos DequantizeLinear Div Elu Equal Erf Exp Expand Flatten
    Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool Greater
    GreaterOrEqual GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization LSTM
    LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul Max MaxPool Mean Min Mul
    Neg Not Or PRelu Pad Pow QuantizeLinear Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum
    ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu
    Reshape Resize Selu Shape Sigmoid Sign Sin Slice Softmax Softplus Softsign Split Sqrt Squeeze
    Sub Sum Tan Tanh Tile Transpose Unsqueeze Where
"""
PARSED = frozenset(NAMES.split())
