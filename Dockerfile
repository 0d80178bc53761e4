# The stack on ROS's official images (docker.io/library/ros): Jazzy, or Humble and Kilted by ROS_DISTRO.
# Not built yet. Read by hadolint, its paths and keys looked up.
#
#   docker build -t smolfusion .                                    # --build-arg ROS_DISTRO=humble
#   docker run --rm -v smolfusion:/data smolfusion ros2 run smolfusion_ros fetch_models --profile embedded
#   docker run --rm -it --network host --ipc host -v smolfusion:/data smolfusion
#
# What follows the image's name replaces the command at the end of this file, e.g.
#   … smolfusion ros2 launch smolfusion_ros smolfusion.launch.py profile:=embedded image_topic:=/camera/image_raw
# A camera without a driver: --device /dev/video0 --group-add video, and video:=/dev/video0.
# Fast DDS talks to the host's nodes through shared memory: that takes --network host, --ipc host and the same user id
# (USER_ID) on both sides. A directory of the host in place of the volume must be writable for that id.
# Models run on the CPU here. For CUDA on a Jetson see docs/jetson.md: the servers stay outside, start_backends:=false.
ARG ROS_DISTRO=jazzy

FROM ros:${ROS_DISTRO}-ros-base AS dependencies
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ARG DEBIAN_FRONTEND=noninteractive
WORKDIR /workspace
COPY package.xml requirements.txt src/smolfusion_ros/
# rosdep calls apt with what is recommended unless told not to; of that only opencv-data, the face cascades, is needed.
# pip of Ubuntu 22.04 ignores PIP_BREAK_SYSTEM_PACKAGES (22.0.2 was tried), that of 24.04 insists on it.
# A NumPy or OpenCV from PyPI would shadow those that cv_bridge was built against: fail here rather than on the robot.
# hadolint ignore=DL3008
RUN echo 'APT::Install-Recommends "false";' > /etc/apt/apt.conf.d/90smolfusion \
    && apt-get update \
    && apt-get install -y --no-install-recommends opencv-data python3-pip \
    && rosdep install -y --from-paths src --ignore-src \
       --dependency-types=buildtool --dependency-types=build --dependency-types=exec \
    && PIP_BREAK_SYSTEM_PACKAGES=1 pip3 install --no-cache-dir -r src/smolfusion_ros/requirements.txt \
    && python3 -c 'import cv2, numpy; print(cv2.__file__, numpy.__file__)' | grep -E '^/usr/lib/[^ ]+ /usr/lib/[^ ]+$' \
    && rm -rf /var/lib/apt/lists/*

FROM dependencies AS build
COPY . src/smolfusion_ros/
# hadolint ignore=SC1090,SC1091
RUN . "/opt/ros/${ROS_DISTRO}/setup.bash" \
    && colcon build --merge-install --install-base /opt/smolfusion --cmake-args -DBUILD_TESTING=OFF

FROM dependencies
ARG USER_ID=1000
# Ubuntu 24.04's image has a user 1000 of its own.
RUN if name=$(id -nu "${USER_ID}" 2>/dev/null); then userdel --remove "${name}"; fi \
    && useradd --create-home --uid "${USER_ID}" --groups video --shell /bin/bash robot \
    && install -d -o robot -g robot /data
COPY --from=build /opt/smolfusion /opt/smolfusion
# Model files; checksums that were verified, prompts that were evaluated; conversations and an engaged emergency stop
# (/data/smolfusion_ros/*.sqlite3, *.emergency_stop).
ENV SMOLFUSION_MODELS=/data/models XDG_CACHE_HOME=/data/cache XDG_DATA_HOME=/data XDG_STATE_HOME=/data
VOLUME /data
USER ${USER_ID}
WORKDIR /home/robot
# ros2 launch ends its processes in order on Ctrl-C.
STOPSIGNAL SIGINT
ENTRYPOINT ["/bin/bash", "-c", "source /opt/smolfusion/setup.bash -- && exec \"$@\"", "--"]
CMD ["ros2", "launch", "smolfusion_ros", "smolfusion.launch.py", "profile:=embedded"]
