// Asio itself, compiled once (BOOST_ASIO_SEPARATE_COMPILATION is set for the whole build).
#include <boost/asio/impl/src.hpp>
