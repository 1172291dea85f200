//! `md5` of text and bytes, as hexadecimal text; `sha224` to `sha512` of bytes, as bytes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryViewBuilder, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{Result as DfResult, ScalarValue, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use md5::Md5;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};

/// The functions, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    Md5,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    signature: Signature,
}

impl Digest {
    pub fn new(algorithm: Algorithm) -> Digest {
        Digest {
            algorithm,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    fn of(&self, bytes: &[u8]) -> Vec<u8> {
        match self.algorithm {
            Algorithm::Md5 => Md5::digest(bytes).to_vec(),
            Algorithm::Sha224 => Sha224::digest(bytes).to_vec(),
            Algorithm::Sha256 => Sha256::digest(bytes).to_vec(),
            Algorithm::Sha384 => Sha384::digest(bytes).to_vec(),
            Algorithm::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

impl ScalarUDFImpl for Digest {
    fn name(&self) -> &str {
        match self.algorithm {
            Algorithm::Md5 => "md5",
            Algorithm::Sha224 => "sha224",
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha384 => "sha384",
            Algorithm::Sha512 => "sha512",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> DfResult<Vec<DataType>> {
        match types {
            [value] if value.is_string() || value.is_binary() || value.is_null() => Ok(vec![DataType::BinaryView]),
            [other] => plan_err!(
                "No function matches '{}' of {other}: it takes text or bytes",
                self.name()
            ),
            _ => plan_err!(
                "No function matches '{}' of {} values: it takes one",
                self.name(),
                types.len()
            ),
        }
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(match self.algorithm {
            Algorithm::Md5 => DataType::Utf8View,
            _ => DataType::BinaryView,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let scalar = matches!(args.args[0], ColumnarValue::Scalar(_));
        let array = args.args[0].to_array(args.number_rows)?;
        let digests = array
            .as_binary_view()
            .iter()
            .map(|value| value.map(|bytes| self.of(bytes)));
        let result: ArrayRef = match self.algorithm {
            Algorithm::Md5 => {
                let mut texts = StringViewBuilder::with_capacity(array.len());
                digests.for_each(|digest| texts.append_option(digest.map(|bytes| hexadecimal(&bytes))));
                Arc::new(texts.finish())
            }
            _ => {
                let mut bytes = BinaryViewBuilder::with_capacity(array.len());
                digests.for_each(|digest| bytes.append_option(digest));
                Arc::new(bytes.finish())
            }
        };
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
            false => Ok(ColumnarValue::Array(result)),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
