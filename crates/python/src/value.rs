//! JSON values of Python as values of expressions and back, without text between.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use stagedoor_expression::{Map, Num, Value};

/// Deeper values are refused in both directions.
const DEPTH: usize = 256;

pub fn from_python(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    read(value, DEPTH)
}

fn read(value: &Bound<'_, PyAny>, depth: usize) -> PyResult<Value> {
    let wrong = |message: String| Err(PyTypeError::new_err(message));
    if depth == 0 {
        return wrong(format!("the value is nested more than {DEPTH} deep"));
    }
    if value.is_none() {
        Ok(Value::Null)
    } else if let Ok(text) = value.cast::<PyString>() {
        Ok(Value::utf8_str(text.to_str()?.as_bytes().to_vec()))
    } else if let Ok(truth) = value.cast::<PyBool>() {
        Ok(Value::Bool(truth.is_true()))
    } else if let Ok(integer) = value.cast::<PyInt>() {
        match integer.extract::<isize>() {
            Ok(small) => Ok(Value::from(small)),
            Err(_) => match Num::from_str_radix(integer.str()?.to_str()?, 10) {
                Some(number) => Ok(Value::Num(number)),
                None => wrong("the integer is not decimal".to_owned()),
            },
        }
    } else if let Ok(float) = value.cast::<PyFloat>() {
        Ok(Value::from(float.value()))
    } else if let Ok(list) = value.cast::<PyList>() {
        list.iter().map(|item| read(&item, depth - 1)).collect()
    } else if let Ok(tuple) = value.cast::<PyTuple>() {
        tuple.iter().map(|item| read(&item, depth - 1)).collect()
    } else if let Ok(dict) = value.cast::<PyDict>() {
        let mut map = Map::default();
        for (key, item) in dict.iter() {
            let Ok(key) = key.cast::<PyString>() else {
                return wrong(format!("keys of an object must be str, not {}", key.get_type().name()?));
            };
            map.insert(Value::utf8_str(key.to_str()?.as_bytes().to_vec()), read(&item, depth - 1)?);
        }
        Ok(Value::obj(map))
    } else {
        wrong(format!("a JSON value cannot hold {}", value.get_type().name()?))
    }
}

pub fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    write(py, value, DEPTH)
}

fn write<'py>(py: Python<'py>, value: &Value, depth: usize) -> PyResult<Bound<'py, PyAny>> {
    if depth == 0 {
        return Err(PyTypeError::new_err(format!("the value is nested more than {DEPTH} deep")));
    }
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(truth) => PyBool::new(py, *truth).to_owned().into_any(),
        Value::Num(Num::Int(integer)) => integer.into_pyobject(py)?.into_any(),
        Value::Num(Num::Float(float)) => PyFloat::new(py, *float).into_any(),
        Value::Num(Num::BigInt(integer)) => py.get_type::<PyInt>().call1((integer.to_string(),))?,
        Value::Num(Num::Dec(decimal)) => py.get_type::<PyFloat>().call1((decimal.as_str(),))?,
        Value::TStr(text) | Value::BStr(text) => PyString::new(py, &String::from_utf8_lossy(text)).into_any(),
        Value::Arr(items) => {
            let list = PyList::empty(py);
            for item in items.iter() {
                list.append(write(py, item, depth - 1)?)?;
            }
            list.into_any()
        }
        Value::Obj(map) => {
            let dict = PyDict::new(py);
            for (key, item) in map.iter() {
                if !matches!(key, Value::TStr(_)) {
                    return Err(PyTypeError::new_err("keys of an object must be strings"));
                }
                dict.set_item(write(py, key, depth - 1)?, write(py, item, depth - 1)?)?;
            }
            dict.into_any()
        }
    })
}
