# Source this to use the stack that scripts/setup built: puts .venv, ROS 2 and the package on the paths.
_nounset=$(set +o | grep nounset)
set +u # colcon's script reads variables that are not set
_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
_venv="$_root/.venv"
# A ROS installation that is sourced already would be mixed with the wheels'.
unset AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH PYTHONPATH LD_LIBRARY_PATH
export VIRTUAL_ENV="$_venv" PATH="$_venv/bin:$PATH"
export AMENT_PREFIX_PATH="$_venv" CMAKE_PREFIX_PATH="$_venv" ROS_DISTRO=kilted ROS_VERSION=2
export RMW_IMPLEMENTATION=rmw_fastrtps_cpp
LD_LIBRARY_PATH="$_venv/lib"
for _libs in "$_venv"/lib/python3.*/site-packages/ros_*.libs; do
  LD_LIBRARY_PATH="$LD_LIBRARY_PATH:$_libs"
done
export LD_LIBRARY_PATH
# The wheels re-execute Python at start-up to set LD_LIBRARY_PATH, which is done above.
export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
if [ -f "$_root/.workspace/install/local_setup.sh" ]; then
  COLCON_CURRENT_PREFIX="$_root/.workspace/install"
  . "$_root/.workspace/install/local_setup.sh"
fi
eval "$_nounset"
unset _root _venv _libs _nounset
