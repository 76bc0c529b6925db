//! JSON values of Python as values of expressions and back, without text between.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use stagedoor_expression::value::{Array, Number, Object, TooLarge, MAX_DEPTH, MAX_INTEGER_BITS};
use stagedoor_expression::Value;

pub fn from_python(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    read(value, MAX_DEPTH)
}

fn wrong(message: impl Into<String>) -> PyErr {
    PyTypeError::new_err(message.into())
}

fn read(value: &Bound<'_, PyAny>, depth: usize) -> PyResult<Value> {
    let too_large = |error: TooLarge| PyValueError::new_err(error.to_string());
    let items = |items: &mut dyn Iterator<Item = Bound<'_, PyAny>>| {
        let depth = depth.checked_sub(1).ok_or_else(|| too_large(TooLarge::Depth))?;
        let mut array = Array::default();
        for item in items {
            array.push(read(&item, depth)?).map_err(too_large)?;
        }
        Ok(Value::Array(array.into()))
    };
    if let Ok(text) = value.cast::<PyString>() {
        let text = text.to_str().map_err(|_| wrong("a JSON value cannot hold a str with lone surrogates"))?;
        Ok(Value::string(text))
    } else if value.is_none() {
        Ok(Value::Null)
    } else if let Ok(dict) = value.cast::<PyDict>() {
        let depth = depth.checked_sub(1).ok_or_else(|| too_large(TooLarge::Depth))?;
        let mut object = Object::default();
        for (key, item) in dict.iter() {
            let Ok(key) = key.cast::<PyString>() else {
                return Err(wrong(format!("keys of an object must be str, not {}", key.get_type().name()?)));
            };
            let key = key.to_str().map_err(|_| wrong("a key cannot be a str with lone surrogates"))?;
            object.insert(key.into(), read(&item, depth)?).map_err(too_large)?;
        }
        Ok(Value::Object(object.into()))
    } else if let Ok(list) = value.cast::<PyList>() {
        items(&mut list.iter())
    } else if let Ok(truth) = value.cast::<PyBool>() {
        Ok(Value::Bool(truth.is_true()))
    } else if let Ok(integer) = value.cast::<PyInt>() {
        integer_of(integer)
    } else if let Ok(float) = value.cast::<PyFloat>() {
        Ok(Value::from(float.value()))
    } else if let Ok(tuple) = value.cast::<PyTuple>() {
        items(&mut tuple.iter())
    } else {
        Err(wrong(format!("a JSON value cannot hold {}", value.get_type().name()?)))
    }
}

fn integer_of(integer: &Bound<'_, PyInt>) -> PyResult<Value> {
    if let Ok(small) = integer.extract::<isize>() {
        return Ok(Value::from(small));
    }
    let bits: u64 = integer.call_method0("bit_length")?.extract()?;
    let number = match bits {
        0..=MAX_INTEGER_BITS => Number::from_str_radix(integer.str()?.to_str()?, 10),
        _ => None,
    };
    let too_large = || PyValueError::new_err(format!("an integer has more than {MAX_INTEGER_BITS} bits"));
    number.map(Value::Number).ok_or_else(too_large)
}

/// Cannot be too deep: no value is.
pub fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(truth) => PyBool::new(py, *truth).to_owned().into_any(),
        Value::Number(Number::Int(integer)) => integer.into_pyobject(py)?.into_any(),
        Value::Number(Number::Float(float)) => PyFloat::new(py, *float).into_any(),
        Value::Number(Number::BigInt(integer)) => py.get_type::<PyInt>().call1((integer.to_string(),))?,
        Value::Number(Number::Dec(decimal)) => py.get_type::<PyFloat>().call1((decimal.as_str(),))?,
        Value::String(text) => PyString::new(py, text).into_any(),
        Value::Array(items) => {
            let list = PyList::empty(py);
            for item in items.iter() {
                list.append(to_python(py, item)?)?;
            }
            list.into_any()
        }
        Value::Object(map) => {
            let dict = PyDict::new(py);
            for (key, item) in map.iter() {
                dict.set_item(&**key, to_python(py, item)?)?;
            }
            dict.into_any()
        }
    })
}
