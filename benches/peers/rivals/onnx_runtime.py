"""onnxruntime: the network as a graph of Gemm and Relu nodes, with all graph optimisations (the default)."""

from common import ROW, THREADS, data, main, unsupported
import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


def graph():
    generator = numpy.random.default_rng(0)
    nodes, initializers, last = [], [], "input"
    for layer, (inputs, outputs) in enumerate(zip(ROW.sizes, ROW.sizes[1:])):
        weights = generator.standard_normal((inputs, outputs), numpy.float32) * numpy.float32((2 / inputs) ** 0.5)
        initializers.append(numpy_helper.from_array(weights, f"weights{layer}"))
        initializers.append(numpy_helper.from_array(numpy.zeros(outputs, numpy.float32), f"biases{layer}"))
        nodes.append(helper.make_node("Gemm", [last, f"weights{layer}", f"biases{layer}"], [f"sum{layer}"]))
        activation = "Softmax" if layer == len(ROW.sizes) - 2 else "Relu"
        last = f"output{layer}"
        nodes.append(helper.make_node(activation, [f"sum{layer}"], [last]))

    def values(name, width):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [ROW.batch, width])

    inputs, outputs = [values("input", ROW.sizes[0])], [values(last, ROW.sizes[-1])]
    return helper.make_graph(nodes, "network", inputs, outputs, initializers)


def prepare():
    if ROW.work == "train":
        unsupported("predicts only")
    model = helper.make_model(graph(), opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    batches = data()

    def run(calls):
        for _ in range(calls):
            for inputs, _ in batches:
                session.run(None, {"input": inputs})

    return run


if __name__ == "__main__":
    main(prepare, {"onnxruntime": onnxruntime.__version__, "onnx": onnx.__version__})
